import type { Cloud, Settings } from './index.js';

/** A server for each test file, clean for each test. */
export function useLocalyun(settings?: Settings): Cloud;
