"""Labels over HTTP: `gsa serve`. Its modules need the extra `server`."""
