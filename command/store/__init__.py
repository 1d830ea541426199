"""PostGIS: tables, COPY, migrations. The only place that writes SQL."""
