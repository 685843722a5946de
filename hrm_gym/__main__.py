"""`python -m hrm_gym` is `hrm-gym`."""

import sys

from hrm_gym.cli import main

sys.exit(main())
