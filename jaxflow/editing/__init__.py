"""Edits: a trained network with less bias, chosen on some rows and reported on others."""

from jaxflow.editing.choosing import MEASURES
from jaxflow.editing.edit import Edit, edit
from jaxflow.editing.recalibration import REFITS, recalibrated

__all__ = ["MEASURES", "REFITS", "Edit", "edit", "recalibrated"]
