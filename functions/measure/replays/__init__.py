"""Dead letters as rows, and replays of what failed or was given up, or is to be enriched anew."""
