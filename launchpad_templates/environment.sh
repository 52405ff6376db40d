# source this file before superionic, lpad, rlaunch or qlaunch
export FW_CONFIG_FILE=~/superionic-site/FW_config.yaml
export JOBFLOW_CONFIG_FILE=~/superionic-site/jobflow.yaml
