import Foundation
import ROOTFile
import TestSupport

/// A made file that lies on disk.
struct Damaged {
    let path: String
    private let directory: TemporaryDirectory

    /// - Parameter size: Where it is cut off.
    init(_ made: MadeROOTFile, size: Int = .max) throws { try self.init(Array(made.bytes.prefix(size))) }

    init(_ bytes: [UInt8]) throws {
        directory = try TemporaryDirectory(inMemory: true)
        path = directory.file("made.root")
        try Data(bytes).write(to: URL(fileURLWithPath: path))
    }

    /// What comes of reading all columns of all trees, each for itself; nil if nothing goes wrong.
    func firstError() -> ROOTError? {
        do throws(ROOTError) {
            let file = try ROOTFile(path: path), scratch = ROOTScratch()
            for (path, _) in try file.trees() {
                let tree = try file.tree(named: path)
                for branch in try tree.branches() {
                    if let refusal = branch.refusal, refusal.code != .unsupported { throw refusal }
                    for column in branch.columns {
                        _ = try tree.read([column], entries: 0..<min(tree.entries, column.entries), using: scratch)
                    }
                }
            }
            return nil
        } catch {
            return error
        }
    }

    /// What comes of reading some columns of a tree; nil if nothing goes wrong.
    func error(_ columns: String..., tree: String = "t", entries: Range<Int>? = nil) -> ROOTError? {
        do throws(ROOTError) {
            _ = try read(columns, tree, entries)
            return nil
        } catch {
            return error
        }
    }

    /// Columns of a tree.
    func read(_ columns: [String], _ tree: String = "t", _ entries: Range<Int>? = nil) throws(ROOTError) -> [ROOTValues]
    {
        let tree = try ROOTFile(path: path).tree(named: tree)
        var found: [ROOTColumn] = []
        for name in columns { found.append(try tree.column(name)) }
        return try tree.read(found, entries: entries ?? 0..<tree.entries, using: ROOTScratch())
    }
}

extension ROOTValues {
    /// The values in an array of their own.
    func array<Value: BitwiseCopyable>(of type: Value.Type) -> [Value] {
        withExtendedLifetime(self) { Array(values(as: type)) }
    }
}

extension ROOTError {
    /// Whether it has an address that is these words one after the other, with anything between them.
    func isAt(_ words: String...) -> Bool {
        var rest = place[...]
        for word in words {
            guard let found = rest.range(of: word) else { return false }
            rest = rest[found.upperBound...]
        }
        return !file.isEmpty
    }
}
