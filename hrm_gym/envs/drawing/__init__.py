"""Pictures of an agent thinking: canvas, panel, frame, window, recording."""
