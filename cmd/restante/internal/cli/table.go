package cli

import (
	"fmt"
	"io"
	"strings"
)

// A Column is one column of a [Table]: its title, and whether its cells, being
// numbers, stand at the right.
type Column struct {
	Title string
	Right bool
}

// A Table is printed in aligned columns, three blanks apart. It has a title
// line unless all titles are empty.
type Table struct {
	columns []Column
	rows    [][]string
}

// NewTable returns an empty table of these columns.
func NewTable(columns ...Column) *Table {
	return &Table{columns: columns}
}

// Row adds a row. Cells are given raw and printed as [Name] prints them; cells
// that are left out are empty.
func (t *Table) Row(cells ...string) {
	row := make([]string, len(t.columns))
	for i := range row {
		if i < len(cells) {
			row[i] = Name(cells[i])
		}
	}
	t.rows = append(t.rows, row)
}

// Print writes the table to w, nothing at all when it has no row.
func (t *Table) Print(w io.Writer) error {
	if len(t.rows) == 0 {
		return nil
	}
	rows := t.rows
	titles, titled := make([]string, len(t.columns)), false
	for i, c := range t.columns {
		titles[i] = c.Title
		titled = titled || c.Title != ""
	}
	if titled {
		rows = append([][]string{titles}, rows...)
	}
	widths := make([]int, len(t.columns))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], columns(cell))
		}
	}
	for _, row := range rows {
		if _, err := fmt.Fprintln(w, t.line(row, widths)); err != nil {
			return err
		}
	}
	return nil
}

func (t *Table) line(row []string, widths []int) string {
	var b strings.Builder
	for i, cell := range row {
		if i > 0 {
			b.WriteString("   ")
		}
		gap := strings.Repeat(" ", widths[i]-columns(cell))
		if t.columns[i].Right {
			b.WriteString(gap + cell)
		} else {
			b.WriteString(cell + gap)
		}
	}
	return strings.TrimRight(b.String(), " ")
}
