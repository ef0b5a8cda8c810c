package hdfstest

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
)

// tree knows which file a block belongs to, and who writes it. Files that were never written by
// the protocol get their block when somebody asks for it.
type tree struct {
	dir string

	mu     sync.Mutex
	last   uint64            // the last inode's number
	inodes map[string]*inode // by path
	byID   map[uint64]*inode
	// special are files that are not plain, by path.
	special map[string]Special
}

// inode is a file that has blocks, or is going to.
type inode struct {
	id     uint64
	path   string
	blocks []block
	// While it is written: the lease's holder, and the file. Who is not the holder writes nothing.
	lease string
	file  *os.File
	// wrote is who completed it last, and may say so twice.
	wrote string
}

// block is a part of a file. Its length is what the NameNode knows of it.
type block struct {
	id             uint64
	offset, length int64
}

// firstInode is Hadoop's own (INodeId.ROOT_INODE_ID) and one.
const firstInode = 16386

// blocksOfInode bounds an inode's blocks: an id is the inode's with the block's index behind it.
const blocksOfInode = 1 << 20

func newTree(dir string) *tree {
	return &tree{dir: dir, last: firstInode, inodes: map[string]*inode{}, byID: map[uint64]*inode{}, special: map[string]Special{}}
}

// local is where a path lies on this machine's disk.
func (t *tree) local(name string) string { return filepath.Join(t.dir, path.Clean("/"+name)) }

// add makes an inode, under mu.
func (t *tree) add(name string) *inode {
	t.last++
	n := &inode{id: t.last, path: name}
	t.inodes[name], t.byID[n.id] = n, n
	return n
}

// addBlock appends a block to an inode.
func (n *inode) addBlock(length int64) *block {
	n.blocks = append(n.blocks, block{n.id*blocksOfInode + uint64(len(n.blocks)), n.length(), length})
	return &n.blocks[len(n.blocks)-1]
}

// length is that of a file being written: what the NameNode knows.
func (n *inode) length() int64 {
	if len(n.blocks) == 0 {
		return 0
	}
	b := n.blocks[len(n.blocks)-1]
	return b.offset + b.length
}

// find returns a file's inode, made of what is on the disk where nobody wrote it by the protocol. It
// is under mu.
func (t *tree) find(name string) (*inode, error) {
	st, err := os.Stat(t.local(name))
	if err != nil {
		return nil, err
	}
	n := t.inodes[name]
	if n == nil {
		n = t.add(name)
	}
	if n.lease == "" && n.length() != st.Size() { // it was put here, or changed, by somebody else
		n.blocks = nil
		n.addBlock(st.Size())
	}
	return n, nil
}

// of returns the inode and the block of an id, under mu.
func (t *tree) of(id uint64) (*inode, *block) {
	n := t.byID[id/blocksOfInode]
	if n == nil || id%blocksOfInode >= uint64(len(n.blocks)) {
		return nil, nil
	}
	return n, &n.blocks[id%blocksOfInode]
}

// settle ends the writing of a file: nobody has its lease.
func (n *inode) settle() {
	if n.file != nil {
		n.file.Close()
	}
	n.file, n.lease = nil, ""
}

// drop forgets a path and all below it, under mu.
func (t *tree) drop(name string) {
	for p, n := range t.inodes {
		if p == name || strings.HasPrefix(p, strings.TrimSuffix(name, "/")+"/") {
			n.settle()
			delete(t.inodes, p)
			delete(t.byID, n.id)
		}
	}
}

// move follows a rename, under mu.
func (t *tree) move(from, to string) {
	t.drop(to)
	for p, n := range t.inodes {
		if rest, ok := strings.CutPrefix(p, from); ok && (rest == "" || rest[0] == '/') {
			delete(t.inodes, p)
			n.path = to + rest
			t.inodes[n.path] = n
		}
	}
}

func (t *tree) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, n := range t.inodes {
		n.settle()
	}
}

// Hadoop has the sticky bit where Go's FileMode has something else.
const sticky = 0o1000

func toHadoop(m fs.FileMode) uint32 {
	perm := uint32(m.Perm())
	if m&fs.ModeSticky != 0 {
		perm |= sticky
	}
	return perm
}

func fromHadoop(perm uint32) fs.FileMode {
	m := fs.FileMode(perm) & fs.ModePerm
	if perm&sticky != 0 {
		m |= fs.ModeSticky
	}
	return m
}
