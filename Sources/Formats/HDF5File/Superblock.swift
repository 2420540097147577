import Support

/// The first block of an HDF5 file: where addresses count from and where the file ends.
///
/// HDF5 File Format Specification 3.0, II.A.
struct Superblock {
    static let signature: [UInt8] = [0x89, 0x48, 0x44, 0x46, 0x0d, 0x0a, 0x1a, 0x0a]

    /// 0 to 3.
    var version: Int
    /// Bytes of an address and of a length.
    var offsetSize: Int
    var lengthSize: Int
    /// What addresses in the file are relative to.
    var base: Int
    /// Where the file ends, from its very beginning; nil if it is not known.
    var end: Int?

    /// Finds the superblock and compares the end it names with the file's size.
    init(_ file: InputFile) throws(HDF5Error) {
        let bytes: [UInt8]
        let start: Int
        do throws(SystemError) {
            start = try Self.find(in: file) ?? -1
            guard start >= 0 else {
                let found = file.size == 0 ? "it is empty" : "it does not have HDF5's signature"
                throw SystemError(.truncated, file: file.path, message: found)
            }
            bytes = try file.read(at: start, count: min(64, file.size - start))
        } catch {
            if case .truncated = error.code {
                throw HDF5Error(.notHDF5, file: file.path, message: "not an HDF5 file: \(error.message)")
            }
            throw HDF5Error(error)
        }
        func number<T: FixedWidthInteger>(_ type: T.Type, at offset: Int) throws(HDF5Error) -> T {
            guard let value = bytes.withUnsafeBytes({ UntrustedBytes($0).load(type, at: offset) }) else {
                throw HDF5Error(
                    .truncated, file: file.path, message: "the file ends inside its superblock",
                    advice: "it was cut short: get a new copy")
            }
            return value
        }
        version = Int(try number(UInt8.self, at: 8))
        let isOld = version < 2
        offsetSize = Int(try number(UInt8.self, at: isOld ? 13 : 9))
        lengthSize = Int(try number(UInt8.self, at: isOld ? 14 : 10))
        base = 0
        end = nil
        // Other sizes, and versions to come, are left to libhdf5.
        guard version <= 3, offsetSize == 8, lengthSize == 8 else { return }
        let place = version == 0 ? 24 : version == 1 ? 28 : 12
        let (base, end) = (try number(UInt64.self, at: place), try number(UInt64.self, at: place + 16))
        guard let base = Int(exactly: base), base <= file.size else {
            throw HDF5Error(.damaged, file: file.path, place: "superblock", message: "the base address is \(base)")
        }
        self.base = base
        self.end = Int(exactly: end)
        if end > UInt64(file.size) {
            throw HDF5Error(
                .truncated, file: file.path, message: "the file has \(file.size) bytes, its superblock says \(end)",
                advice: "it was cut short, or its writer has not finished: get a new copy")
        }
    }

    /// The signature stands at 0, 512, 1024, 2048, ...
    private static func find(in file: InputFile) throws(SystemError) -> Int? {
        var start = 0
        while start <= file.size - signature.count {
            if try file.read(at: start, count: signature.count) == signature { return start }
            start = start == 0 ? 512 : start * 2
        }
        return nil
    }
}
