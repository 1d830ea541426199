"""PostGIS: the only place with tables, COPY and migrations.

Plain functions, one module a noun, first argument a Session of engine.realm_session (or engine.shared_session for
what all realms share). Every function works inside the caller's transaction: nothing is kept until the block ends.
"""
