import CHDF5
import Support

/// An HDF5 file opened for reading, from any number of threads.
///
/// Metadata comes through libhdf5 under one lock; chunks are read past it with `pread` wherever their layout is known.
public final class HDF5File: Sendable {
    /// The path as the user gave it.
    public let path: String
    /// The size in bytes when it was opened.
    public var size: Int { input.size }
    let input: InputFile
    let superblock: Superblock
    let handle: Handle

    /// Opens a file for reading, without file locks.
    /// - Throws: `HDF5Error`: `system` if it cannot be opened, `notHDF5`, `truncated`, or `library` in libhdf5's words.
    public init(path: String) throws(HDF5Error) {
        self.path = path
        do throws(SystemError) { input = try InputFile(path: path) } catch { throw HDF5Error(error) }
        superblock = try Superblock(input)
        HDF5Library.enter()
        defer { HDF5Library.leave() }
        guard let handle = Handle(H5Fopen(path, pando_H5F_ACC_RDONLY(), pando_H5P_DEFAULT())) else {
            throw HDF5Error(.library, file: path, message: "cannot be opened: \(HDF5Library.errorText())")
        }
        self.handle = handle
    }

    /// All datasets that hard links lead to, in the order of their paths.
    /// - Throws: `HDF5Error`, if libhdf5 cannot read the file's groups or the properties of a dataset.
    public func datasets() throws(HDF5Error) -> [HDF5DatasetInfo] {
        HDF5Library.enter()
        defer { HDF5Library.leave() }
        var listing = Listing(file: path)
        try listing.visit(handle, prefix: "")
        return listing.datasets
    }

    /// The attributes of the root group (empty path), of a group or of a dataset.
    /// - Throws: `HDF5Error`, `missingDataset` if nothing has this path.
    public func attributes(of object: String = "") throws(HDF5Error) -> [HDF5Attribute] {
        HDF5Library.enter()
        defer { HDF5Library.leave() }
        guard let opened = Handle(H5Oopen(handle.id, object.isEmpty ? "/" : object, pando_H5P_DEFAULT())) else {
            throw missing(object)
        }
        return try HDF5Attribute.all(of: opened.id, file: path, place: object)
    }

    /// Opens a dataset by its path, such as `PFCands` or `jets/constituents`.
    /// - Throws: `HDF5Error`, `missingDataset` if there is none.
    public func dataset(_ name: String) throws(HDF5Error) -> HDF5Dataset {
        HDF5Library.enter()
        defer { HDF5Library.leave() }
        guard let opened = Handle(H5Oopen(handle.id, name, pando_H5P_DEFAULT())), H5Iget_type(opened.id) == H5I_DATASET
        else { throw missing(name) }
        return try HDF5Dataset(file: self, path: name, handle: opened)
    }

    /// Why nothing could be opened under a path: there is nothing, or libhdf5 cannot read it.
    private func missing(_ name: String) -> HDF5Error {
        let reason = HDF5Library.errorText()
        if exists(name) {
            return HDF5Error(
                .library, file: path, place: name, message: "cannot be opened: \(reason)",
                advice: "it may have been written by an HDF5 library newer than this one: rewrite it with h5repack")
        }
        let advice: String? =
            if let known = try? datasets().map(\.path) {
                known.isEmpty ? "the file has no datasets" : "the file has \(known.joined(separator: ", "))"
            } else { nil }
        return HDF5Error(.missingDataset, file: path, place: name, message: "no such dataset", advice: advice)
    }

    /// Whether links lead along a path, to whatever it may be; a group is no dataset.
    private func exists(_ name: String) -> Bool {
        var prefix = ""
        for part in name.split(separator: "/") {
            prefix += "/" + part
            if H5Lexists(handle.id, prefix, pando_H5P_DEFAULT()) <= 0 { return false }
        }
        guard !prefix.isEmpty else { return false }
        return Handle(H5Oopen(handle.id, prefix, pando_H5P_DEFAULT())) == nil
    }

    /// A walk over groups.
    private struct Listing {
        let file: String
        var datasets: [HDF5DatasetInfo] = []
        /// Groups may be linked in a circle.
        private var visited: Set<haddr_t> = []

        init(file: String) {
            self.file = file
        }

        mutating func visit(_ group: Handle, prefix: String, depth: Int = 0) throws(HDF5Error) {
            // A file's own depth is small; a hostile one must not use up the stack.
            guard depth < 256, visited.insert(pando_object_address(group.id)).inserted else { return }
            var info = H5G_info_t()
            guard H5Gget_info(group.id, &info) >= 0 else { throw failure(prefix) }
            for index in 0..<info.nlinks {
                let length = H5Lget_name_by_idx(
                    group.id, ".", H5_INDEX_NAME, H5_ITER_INC, index, nil, 0, pando_H5P_DEFAULT())
                guard length >= 0, length < 1 << 16 else { throw failure(prefix) }
                var bytes = [CChar](repeating: 0, count: length + 1)
                guard
                    H5Lget_name_by_idx(
                        group.id, ".", H5_INDEX_NAME, H5_ITER_INC, index, &bytes, bytes.count, pando_H5P_DEFAULT())
                        == length
                else { throw failure(prefix) }
                let name = String(cBytes: bytes)
                // Soft and external links would list a dataset twice, or one of another file.
                guard pando_is_hard_link(group.id, bytes) == 1 else { continue }
                guard let object = Handle(H5Oopen(group.id, bytes, pando_H5P_DEFAULT())) else {
                    throw failure(prefix + name)
                }
                switch H5Iget_type(object.id) {
                case H5I_GROUP:
                    try visit(object, prefix: prefix + name + "/", depth: depth + 1)
                case H5I_DATASET:
                    datasets.append(
                        try HDF5DatasetInfo(object, path: prefix + name, file: file, counting: true))
                default: break
                }
            }
        }

        private func failure(_ place: String) -> HDF5Error {
            HDF5Error(.library, file: file, place: place, message: HDF5Library.errorText())
        }
    }
}
