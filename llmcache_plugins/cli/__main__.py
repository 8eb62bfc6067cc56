"""`python -m llmcache_plugins.cli`, for when the command is not on the path."""

import sys

from llmcache_plugins.cli import main

sys.exit(main())
