package restore

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"restante/blob"
)

// A want is a piece as one item of one recipe names it.
type want struct {
	id    blob.ID
	size  uint32
	lines bool // of a base64 item
	need  need
}

// A found is a wanted piece and where it is.
type found struct {
	place blob.Place // zero: nowhere
	piece
}

// lookUp finds the places of all pieces with one call. What it returns is
// sorted by place, each piece once.
func lookUp(ctx context.Context, src Source, list []want) ([]found, error) {
	slices.SortFunc(list, func(a, b want) int {
		return cmp.Or(a.id.Compare(b.id), cmp.Compare(a.size, b.size))
	})
	var ids []blob.ID
	for i := range list {
		if i == 0 || list[i].id != list[i-1].id {
			ids = append(ids, list[i].id)
		}
	}
	if len(ids) == 0 {
		return nil, nil
	}
	places, err := src.Places(ctx, ids)
	if err != nil {
		return nil, fmt.Errorf("looking up %d pieces: %w", len(ids), err)
	}
	if len(places) != len(ids) {
		return nil, fmt.Errorf("looking up %d pieces: %d places came back", len(ids), len(places))
	}
	pieces := join(list, places)
	slices.SortFunc(pieces, comparePlaces)
	return pieces, nil
}

// join makes pieces of a sorted list and the places of its IDs.
func join(list []want, places []blob.Place) []found {
	needs := make([]need, len(list))
	pieces := make([]found, 0, len(places))
	at := -1
	for i, x := range list {
		needs[i] = x.need
		other := i == 0 || x.id != list[i-1].id
		if other {
			at++
		}
		if other || x.size != list[i-1].size { // two sizes, of which cut finds one wrong, are two pieces
			pieces = append(pieces, found{places[at], piece{id: x.id, inner: places[at].Inner, size: x.size, lines: true, needs: needs[i:i]}})
		}
		p := &pieces[len(pieces)-1]
		p.needs = p.needs[:len(p.needs)+1]
		p.lines = p.lines && x.lines
	}
	return pieces
}

func comparePlaces(a, b found) int {
	if order := a.place.Clump.Compare(b.place.Clump); order != 0 {
		return order
	}
	return cmp.Or(cmp.Compare(a.place.Inner, b.place.Inner), a.id.Compare(b.id))
}
