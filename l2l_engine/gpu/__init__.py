"""Whole predictions on a GPU: decoder, encoders and skimmer queue their work, and one wait ends it.

Not yet run on a GPU. The tests run all of this over a device of the host whose streams do their work late and
in any order that streams and events allow.
"""
