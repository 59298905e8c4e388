(() => {
  const field = document.getElementById("crosswalk-search");
  const rows = [...document.querySelectorAll("#crosswalk tbody tr")];
  const show = () => {
    const words = field.value.toLowerCase().split(/\s+/);
    let left = 0;
    for (const row of rows) {
      row.hidden = !words.every((word) => row.dataset.words.includes(word));
      left += !row.hidden;
    }
    document.getElementById("crosswalk-count").textContent = `${left} of ${rows.length} functions`;
  };
  field.addEventListener("input", show);
  show();
})();
