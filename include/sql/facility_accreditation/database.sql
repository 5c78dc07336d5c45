CREATE DATABASE IF NOT EXISTS {{ database }}
COMMENT 'Healthcare facility data, published by MedLaunch'
