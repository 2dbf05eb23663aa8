"""Tables and figures made of result rows."""
