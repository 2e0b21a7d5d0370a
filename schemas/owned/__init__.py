"""Schemas people own: what an event of a name has to look like, by versions, and how strictly it is taken.

The files are in ``schemas/registry``; docs/schemas.md says how to write them.
"""
