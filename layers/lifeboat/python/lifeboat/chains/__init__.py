"""The chains of design.md, one module each: look (EYES), decide (MIND), act (HANDS), tell (VOICE).

A door parses its event with EARS and calls one function here; nothing here parses an envelope or decides for itself.
"""
