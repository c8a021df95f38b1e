// Looks at a screen in noVNC, presses a key, and prints the screen's colour before and after.
'use strict';

const { visit } = require('./visit.js');

// Runs in the page: whether the middle of the screen has this colour.
const isPainted = (colour) => {
  const screen = document.querySelector('canvas');
  if (!screen || !screen.width) return false;
  const pixel = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true });
  pixel.drawImage(screen, -screen.width / 2, -screen.height / 2);
  return String([...pixel.getImageData(0, 0, 1, 1).data].slice(0, 3)) === String(colour);
};

visit(async (page, seen, wish) => {
  await page.goto(wish.url);
  await page.waitForFunction(isPainted, [255, 0, 0]);
  await page.locator('canvas').click();
  await page.keyboard.press('g');
  await page.waitForFunction(isPainted, [0, 255, 0]);
  seen.name = await page.title();
});
