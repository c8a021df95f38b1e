// How a page looks: its width, its colours, and a picture of it.
'use strict';

// Runs in the page: the lowest contrast (WCAG 2, 1.4.3) of any text with what is behind it.
function lowestContrast() {
  const numbers = (colour) => colour.match(/[\d.]+/g).map(Number);
  const luminance = (colour) => {
    const [red, green, blue] = numbers(colour).map((part) =>
      part / 255 <= 0.04045 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4);
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const behind = (part) => {
    const colour = getComputedStyle(part).backgroundColor;
    return numbers(colour)[3] === 0 ? behind(part.parentElement) : colour;
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let lowest = 21;
  while (walker.nextNode()) {
    const part = walker.currentNode.parentElement;
    const isText = walker.currentNode.data.trim() && part.tagName !== 'SCRIPT';
    if (!isText || !part.checkVisibility() || part.disabled) continue;
    const [dark, light] = [luminance(getComputedStyle(part).color), luminance(behind(part))]
      .sort((a, b) => a - b);
    lowest = Math.min(lowest, (light + 0.05) / (dark + 0.05));
  }
  return lowest;
}

/** What is seen in a view; with `images` a screenshot is left there. */
exports.look = async (page, { name, scheme, size }, images) => {
  await page.setViewportSize(size);
  await page.emulateMedia({ colorScheme: scheme, reducedMotion: 'reduce' });
  const view = await page.evaluate(() => ({
    width: innerWidth,
    scrollWidth: document.documentElement.scrollWidth,
    background: getComputedStyle(document.body).backgroundColor,
  }));
  if (images) await page.screenshot({ path: `${images}/${name}.png` });
  return { name, ...view, contrast: await page.evaluate(lowestContrast) };
};
