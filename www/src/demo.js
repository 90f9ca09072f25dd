// With --demo the node tells its users, and one click registers as one of them.

/** Calls use({ aor, password }) at a click. Without demo users the box stays hidden. */
export async function offerDemoUsers(document, url, use) {
  const users = await fetchUsers(url);
  const buttons = users.map((user) => {
    const button = document.createElement('button');
    button.type = 'button';
    button.textContent = `Use ${user.aor}`;
    button.addEventListener('click', () => use(user));
    return button;
  });
  document.getElementById('demo-buttons').replaceChildren(...buttons);
  document.getElementById('demo').hidden = buttons.length === 0;
}

async function fetchUsers(url) {
  try {
    const response = await fetch(url, { cache: 'no-store' });
    return response.ok ? (await response.json()).users : [];
  } catch {
    return [];
  }
}
