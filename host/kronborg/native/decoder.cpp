extern "C" int kronborg_native_abi(void) { return 0; }
