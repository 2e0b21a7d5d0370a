"""Which environment a row of the event tables belongs to: that of the key it was sent with."""

ENVIRONMENT = "if(startsWith(key_id, 'test') OR startsWith(key_id, 'wk_test'), 'test', 'live')"
