import Shards
import Support

extension SourceSchema {
    /// Opens an input.
    /// - Throws: An error that names the file and what does not fit.
    func open(_ path: String, _ selection: SelectionChoice?) throws -> any JetSource {
        switch format {
        case .hdf5: try HDF5Source(path: path, schema: self)
        case .root: try TreeSource(path: path, schema: self)
        case .pfnano:
            try PFNanoSource(
                path: path, schema: self,
                choice: selection ?? SelectionChoice(selection: Selection(named: Selection.builtIn[0])))
        }
    }

    /// The same without some columns; the others keep their places.
    func without(_ absent: Set<String>) -> SourceSchema {
        guard !absent.isEmpty else { return self }
        var schema = self
        for dataset in schema.datasets.indices {
            for column in schema.datasets[dataset].columns.indices
            where absent.contains(schema.datasets[dataset].columns[column].name) {
                schema.datasets[dataset].columns[column].isAbsent = true
            }
        }
        return schema
    }
}

extension InputFile {
    /// XXH3-64 of the first and the last 64 KiB of a file.
    static func headTailDigest(_ path: String) throws -> Digest {
        let file = try InputFile(path: path)
        let piece = min(file.size, 65_536)
        return Digest(of: try file.read(at: 0, count: piece) + file.read(at: file.size - piece, count: piece))
    }
}
