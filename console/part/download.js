// A link that saves an object.

import { mediaUrl } from '../lib/api.js';
import { t } from '../lib/i18n.js';
import { h } from '../lib/dom.js';
import { button } from './controls.js';

export const download = (path, key) => button(t('download'), async () => {
  const anchor = h('a', { href: await mediaUrl(path), download: key.split('/').pop() });
  document.body.append(anchor);
  anchor.click();
  anchor.remove();
});
