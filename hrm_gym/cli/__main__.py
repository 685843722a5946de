"""`python -m hrm_gym.cli`, the same as `hrm-gym`."""

import sys

from hrm_gym.cli import main

sys.exit(main())
