"""Which environment an event belongs to: that of the key it was sent with."""

ENVIRONMENT = "if(startsWith(key_id, 'test'), 'test', 'live')"
