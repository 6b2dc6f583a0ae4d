"""Records of the target into the workspace, page by page, and the records that have certain keys."""
