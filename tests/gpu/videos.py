"""Files that the tests of the GPU's pipeline share."""

from tests.media.makers import media

VP9 = media("webm", video="libvpx-vp9", audio="libopus", frames=150, video_options={"g": "10"})
"""Of a codec that DALI's CPU decoder takes."""
