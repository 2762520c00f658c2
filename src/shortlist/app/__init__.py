"""The composition root: the only room that knows which engine is behind which port.

It opens what the settings name, hands each part what it needs, and closes in reverse order, also on failure.
Nothing is named here: who needs the log alone loads no models.
"""
