"""AWS resources of MedLaunch as code: `make synth` writes the templates, `make deploy-infra ENV=dev` deploys them."""
