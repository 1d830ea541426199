"""Printed documents: what stands in one (`document`), where its lines break (`lines`), and the PDF of it (`pdf`)."""
