"""Programs to be read and run as they are, over the cloud or an emulator."""
