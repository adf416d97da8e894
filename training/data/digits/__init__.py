"""AV-Digits: untrimmed videos of real digits and voices; one digit is shown *and* spoken at the same time."""
