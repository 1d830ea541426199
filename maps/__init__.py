"""Places and shapes: areas, coastlines, tiles, geodesy."""
