"""Clips: the teacher, ImgAud2Vid, and the classifiers of single clips (paper 3.2, 4.1)."""
