import type { TestAPI } from 'vitest';
import type { Cloud, Settings, Sink } from './index.js';

/** `test` with a server for each worker, clean for each test. */
export const test: TestAPI<{ localyun: Cloud; callbackSink: Sink; localyunServer: Cloud; localyunSettings: Settings }>;
