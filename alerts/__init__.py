"""What the machine says: rules, pipeline, channels."""
