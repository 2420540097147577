import Support

/// A checkpoint that PyTorch wrote (1.6 or newer; `.pt`, `.pth`, Lightning's `.ckpt`), opened for reading from any number of threads.
///
/// Nothing in the file is ever run: classes that it names become inert `PickleObject`s, so that the weights can be reached whatever
/// the hyper-parameters hold. Opening reads the archive's directory and the pickle; a tensor's numbers are read, and held against
/// their CRC-32, when they are asked for.
public final class PyTorchCheckpoint: TensorStore {
    /// The path.
    public let path: String
    /// Names of the tensors in the state dictionary in its order; empty if there is none.
    public let names: [String]
    /// All that was saved.
    public let root: PickleValue
    private let content: FileBytes
    private let archive: ZipArchive
    private let folder: String
    private let isCheckingSums: Bool
    private let state: Result<StateDictionary, SafeTensorsError>
    /// Storages that agreed with their checksum.
    private let checked = Monitor<Set<String>>([])

    /// Opens a checkpoint.
    ///
    /// - Parameters:
    ///   - stateKey: Under which key of the top level the state dictionary lies. Without it the top level itself is taken if it holds
    ///     nothing but tensors, as that of `torch.save(model.state_dict(), ...)`.
    ///   - isCheckingSums: Whether content is held against its CRC-32.
    /// - Throws: `SafeTensorsError`: `notPyTorch`, `tooOld`, `truncated`, `damaged`, `limit`; `unsupported` for compressed or
    ///   encrypted members, big-endian numbers and opcodes that are not read; `system` if the file cannot be.
    public convenience init(
        path: String, stateKey: String = "state_dict", isCheckingSums: Bool = true
    ) throws(SafeTensorsError) {
        try self.init(FileBytes(path: path), stateKey, isCheckingSums)
    }

    /// Reads a checkpoint that is in memory; `name` stands for it in errors.
    public convenience init(
        bytes: [UInt8], name: String = "", stateKey: String = "state_dict", isCheckingSums: Bool = true
    ) throws(SafeTensorsError) {
        try self.init(FileBytes(bytes: bytes, name: name), stateKey, isCheckingSums)
    }

    private init(_ content: FileBytes, _ stateKey: String, _ isCheckingSums: Bool) throws(SafeTensorsError) {
        self.content = content
        self.isCheckingSums = isCheckingSums
        path = content.path
        do throws(SafeTensorsError) {
            try Self.checkBeginning(content)
            archive = try ZipArchive(content)
            folder = try Self.folder(of: archive)
            if let order = archive["\(folder)/byteorder"] {
                try Self.checkByteOrder(order, archive, content, isCheckingSums)
            }
            let member = try Self.member("data.pkl", in: folder, archive)
            let graph = try Self.withContent(of: member, archive, content, isCheckingSums) {
                bytes throws(SafeTensorsError) in try Unpickler.read(bytes)
            }
            root = SharedGraph(graph).root
        } catch { throw error.inside("", file: content.path) }
        let (root, path, isScript) = (root, content.path, archive["\(folder)/constants.pkl"] != nil)
        do throws(SafeTensorsError) {
            state = .success(try StateDictionary(root, key: stateKey, isScript: isScript))
        } catch { state = .failure(error.inside("", file: path)) }
        names = (try? state.get().tensors.map(\.name)) ?? []
    }

    // MARK: The state dictionary

    /// Tensors of the state dictionary in its order.
    /// - Throws: `SafeTensorsError`: `missing` if there is none, `damaged` if a name stands there twice.
    public func stateDictionary() throws(SafeTensorsError) -> [(name: String, tensor: StoredTensor)] {
        try state.get().tensors
    }

    /// Entries of the state dictionary that are no tensors, or tensors of a kind that this room does not read; empty if there is none.
    public var otherNames: [String] { (try? state.get().others.map(\.name)) ?? [] }

    /// Type and shape of a tensor in the state dictionary.
    /// - Throws: `SafeTensorsError`: `missing` if there is no such tensor or no state dictionary; `unsupported` if the entry is
    ///   something else.
    public func entry(_ name: String) throws(SafeTensorsError) -> TensorEntry {
        let tensor = try tensor(name)
        guard let entry = TensorEntry(name: name, type: tensor.type, shape: tensor.shape) else {
            throw SafeTensorsError(.damaged, file: path, place: "tensor \(name)", message: "an impossible shape")
        }
        return entry
    }

    /// A tensor in the state dictionary.
    /// - Throws: As `entry`.
    public func tensor(_ name: String) throws(SafeTensorsError) -> StoredTensor {
        do throws(SafeTensorsError) { return try state.get().tensor(name) } catch { throw error.inside("", file: path) }
    }

    /// The elements of a tensor in the state dictionary, one after the other with the last index running fastest, which may be used
    /// until `body` returns.
    /// - Throws: As `entry`, and `damaged` if the storage is not there, has another size or another CRC-32; what `body` throws.
    public func withBytes<Value>(of name: String, _ body: (UnsafeRawBufferPointer) throws -> Value) throws -> Value {
        try withBytes(of: tensor(name), body)
    }

    // MARK: Lightning

    /// Hyper-parameters of the model; nil if there are none.
    public var hyperParameters: PickleDictionary? { root["hyper_parameters"]?.dictionary }

    /// The epoch at which it was saved; nil if it does not say.
    public var epoch: Int? { root["epoch"]?.int }

    /// Steps of the optimizer until then; nil if it does not say.
    public var globalStep: Int? { root["global_step"]?.int }

    /// States of the optimizers: each a dictionary with `state`, by the parameter's number, and `param_groups`.
    public var optimizerStates: [PickleValue] { root["optimizer_states"]?.list.map(Array.init) ?? [] }

    /// The version of Lightning that wrote it; nil if it was none.
    public var lightningVersion: String? { root["pytorch-lightning_version"]?.string }

    // MARK: Content

    /// The elements of any tensor in the checkpoint, as of an optimizer's state; see `withBytes(of:)` of names.
    public func withBytes<Value>(
        of tensor: StoredTensor, _ body: (UnsafeRawBufferPointer) throws -> Value
    ) throws -> Value {
        let result = try withStorage(tensor.storage) { storage throws(SafeTensorsError) in
            try tensor.withElements(of: storage) { bytes in Result { try body(bytes) } }
        }
        return try result.get()
    }

    private func withStorage<Value>(
        _ storage: TensorStorage, _ body: (UnsafeRawBufferPointer) throws(SafeTensorsError) -> Value
    ) throws(SafeTensorsError) -> Value {
        do throws(SafeTensorsError) {
            let member = try Self.member("data/\(storage.key)", in: folder, archive)
            guard member.size == storage.byteCount else {
                throw ZipArchive.damaged("\(member.size) bytes for \(storage.count) elements of \(storage.className)")
                    .inside(member.name)
            }
            let isKnown = checked.read { $0.contains(storage.key) }
            return try Self.withContent(of: member, archive, content, isCheckingSums && !isKnown) {
                bytes throws(SafeTensorsError) in
                if !isKnown { checked.update { _ = $0.insert(storage.key) } }
                return try body(bytes)
            }
        } catch { throw error.inside("", file: path) }
    }

    private static func member(
        _ name: String, in folder: String, _ archive: ZipArchive
    ) throws(SafeTensorsError) -> ZipArchive.Member {
        guard let member = archive["\(folder)/\(name)"] else {
            throw ZipArchive.damaged("the member is not in the archive").inside("\(folder)/\(name)")
        }
        return member
    }

    private static func withContent<Value>(
        of member: ZipArchive.Member, _ archive: ZipArchive, _ content: FileBytes, _ isCheckingSum: Bool,
        _ body: (UnsafeRawBufferPointer) throws(SafeTensorsError) -> Value
    ) throws(SafeTensorsError) -> Value {
        do throws(SafeTensorsError) {
            let range = try archive.range(of: member, in: content)
            return try content.withBytes(range) { bytes throws(SafeTensorsError) in
                if isCheckingSum { try ZipArchive.check(bytes, of: member) }
                return try body(bytes)
            }
        } catch { throw error.inside(member.name) }
    }

    // MARK: Opening

    private static func checkBeginning(_ content: FileBytes) throws(SafeTensorsError) {
        let head = try content.read(0..<min(16, content.size))
        // A number that old files begin with, as a pickle of protocol 2; then those that begin as other pickles do.
        let old: [UInt8] = [0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19]
        guard !head.starts(with: old) else {
            throw SafeTensorsError(
                .tooOld, message: "it was saved by PyTorch before 1.6, or in that form",
                advice: "load it with a recent PyTorch and save it again: torch.save(torch.load(old), new)")
        }
        guard !head.starts(with: [0x50, 0x4b]) else { return }
        let isTensors = head.count > 8 && head[8] == UInt8(ascii: "{")
        throw SafeTensorsError(
            .notPyTorch, message: "it does not begin as a zip archive",
            advice: isTensors ? "open it as a safetensors file" : "save it with torch.save")
    }

    /// The folder in which all members of PyTorch's lie: that of the first member, or the only one with a pickle.
    private static func folder(of archive: ZipArchive) throws(SafeTensorsError) -> String {
        func folder(_ name: String) -> String? { name.firstIndex(of: "/").map { String(name[..<$0]) } }
        if let first = archive.members.first.flatMap({ folder($0.name) }), archive["\(first)/data.pkl"] != nil {
            return first
        }
        let found = archive.members.filter { member in
            folder(member.name).map { member.name == "\($0)/data.pkl" } ?? false
        }
        guard found.count == 1, let only = found.first.flatMap({ folder($0.name) }) else {
            throw SafeTensorsError(
                .notPyTorch, message: "a zip archive with \(found.count) pickles (data.pkl) in folders at its top",
                advice: "save it with torch.save")
        }
        return only
    }

    private static func checkByteOrder(
        _ member: ZipArchive.Member, _ archive: ZipArchive, _ content: FileBytes, _ isCheckingSum: Bool
    ) throws(SafeTensorsError) {
        let isLittle = try withContent(of: member, archive, content, isCheckingSum) { bytes in
            bytes.elementsEqual("little".utf8)
        }
        guard isLittle else {
            throw SafeTensorsError(
                .unsupported, place: member.name, message: "its numbers are not little-endian",
                advice: "load it with PyTorch on this machine and save it again")
        }
    }
}
