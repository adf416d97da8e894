"""Untrimmed by ear: which head finds one real sound of five seconds in files of 40 to 120 s.

python -m studies.untrimmed --data esc10 --weights FOLDER --work FOLDER
"""
