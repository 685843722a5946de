"""Drawing an agent's episodes: canvas, panel, frame, window, recording."""
