"""The papers, reproduced: their tables and figures beside ours."""
