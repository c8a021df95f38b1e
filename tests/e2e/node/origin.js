// Uses all that the page of apps/origin.py has, and prints what came back.
'use strict';

const { visit } = require('./visit.js');

visit(async (page, seen, wish) => {
  await page.goto(wish.url);
  await page.getByText('events: open').waitFor();
  await page.getByText('socket: open').waitFor();
  for (const words of ['one', 'two']) {
    await page.evaluate((text) => send(text), words);
    await page.getByText(`event ${words}`).waitFor();
    await page.getByText(`message ${words}`).waitFor();
  }
  seen.extensions = await page.evaluate(() => socket.extensions);
  seen.log = await page.locator('li').allInnerTexts();
  seen.uploaded = await page.evaluate(() => upload(3_000_000));
});
