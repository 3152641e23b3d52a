"""Running experiments: configs, chunks, results folder, hosts and progress; nothing else knows files and time."""
