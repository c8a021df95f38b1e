// Runs the first cell of a notebook in JupyterLab, and prints what it has put out.
'use strict';

const { visit } = require('./visit.js');

visit(async (page, seen, wish) => {
  await page.goto(wish.url);
  await page.getByText('| Idle').waitFor(); // the kernel's state
  const cell = page.locator('.jp-Notebook .jp-CodeCell').first();
  await cell.locator('.cm-content').click();
  await page.keyboard.press('Shift+Enter');
  seen.output = await cell.locator('.jp-OutputArea-output').first().innerText();
});
