"""The AWS side of MedLaunch as code: `make synth` shows it, `make deploy-infra ENV=dev` makes it. See README.md."""
