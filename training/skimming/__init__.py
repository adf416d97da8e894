"""ImgAud-Skimming on features of whole videos (paper 3.3)."""
