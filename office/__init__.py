"""The machinery every process stands on: it knows no process and no story. Arrows point down here, too."""
