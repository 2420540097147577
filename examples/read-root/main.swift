// Reads ROOT files without ROOT: read-root FILE... shows the trees of the first file, and of the tree Events in all of them, one
// after the other, the run and the hardest jet of each event.
import Glibc
import ROOTFile

let paths = Array(CommandLine.arguments.dropFirst())
guard let first = paths.first else {
    print("usage: read-root FILE...")
    exit(64)
}

// What is in a file. Opening parses no branch; listing them all does.
let file = try ROOTFile(path: first)
for (path, _) in try file.trees() {
    let tree = try file.tree(named: path)
    print("\(path): \(tree.entries) entries")
    for branch in try tree.branches() {
        print("  \(branch.path): \(branch.columns.first?.typeName ?? branch.refusal?.message ?? "")")
    }
}

// Columns of one tree that goes on over several files. Of one file: tree.column("run"), tree.read(columns, entries:using:).
let chain = try ROOTChain(paths: paths, tree: "Events", columns: ["run", "Jet_pt"])
let scratch = ROOTScratch()  // one a thread, for as many reads as it likes
for start in stride(from: 0, to: chain.entries, by: 1000) {
    let values = try chain.read(entries: start..<min(start + 1000, chain.entries), using: scratch)
    // The pointers do not keep the values alive.
    withExtendedLifetime(values) {
        let run = values[0].values(as: UInt32.self), pt = values[1].values(as: Float.self)
        for entry in 0..<values[0].entries.count {
            print(run[entry], pt[values[1].range(ofEntry: entry)].max() ?? 0)
        }
    }
}
