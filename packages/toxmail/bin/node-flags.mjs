/** With what Node runs the program; the first line of toxmail.mjs says the same. */
export const NODE_FLAGS = [
  // The daemon idles most of the time: 4 MB for short-lived objects instead of 16 keep it 50 MB smaller after busy moments.
  '--max-semi-space-size=4',
];
